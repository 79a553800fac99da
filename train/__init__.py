"""Training: labelled face pictures -> a run folder with a folded Keras network and its curves."""
