"""OpenAVS-ST: what a model finds in videos that nobody has labelled, written down as a set to train on."""
