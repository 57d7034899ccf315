"""How the bundled model is taught: four stages, each with one thing to learn, from worlds made on the spot.

`seeing`: the backbone and its alignment, from tagged pictures; `hearing`: the audio encoder, from tagged
seconds; `naming`: a small CLIP, from cut-out things and their names; `locating`: all the rest, the paper's
training, with the first two frozen. Novel categories take part in the first three, by their tags and names
alone; in the fourth, where masks and sounding are learnt, they do not exist.
"""
