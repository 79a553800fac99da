"""Export: a trained Keras network -> ONNX and TFLite files, each proved to answer as it does."""
