"""Whether what a Raspberry Pi installs and reads is what this machine installs and reads."""
