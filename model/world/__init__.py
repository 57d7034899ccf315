"""A small world of pictured things and synthesised sounds with exact truth, to train and to test on.

Emoji of several artists move over drawn backgrounds; some of them sound, by turns or together; some never do;
some are heard and not seen. `clip.generate` makes a clip in memory, `command` a set laid out as AVSBench-OV.
"""
