"""Models: the files that ship, each with a card of the same name; made by `edgemood models`."""
