"""Training of the face detector: pictures of people -> a run folder with a YuNet-like network."""
