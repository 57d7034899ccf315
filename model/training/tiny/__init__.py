"""How the bundled model is taught: four lessons, each with one thing to learn, from worlds made on the spot.

`seeing`: the backbone and its alignment, from tagged pictures; `hearing`: the audio encoder, from tagged
seconds; `naming`: a small CLIP, from cut-out things and their names; `locating`: all the rest, the paper's
training, with the first two frozen. Novel categories take part in the first three, by their tags and names
alone; in the fourth, which is given twice, for stills and for windows, they do not exist.
"""
