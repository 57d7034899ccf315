"""What one can both see and hear of AudioSet (Gemmeke et al., 2017): nouns of its classes, to choose from.

Its classes of sounds without a visible source (music genres, echo, hum, silence) are left out, and those that
name what a thing does (barking, meow) are called by the thing (dog, cat).
"""

from __future__ import annotations

NAMES: tuple[str, ...] = (
    # People
    "man", "woman", "child", "baby", "choir", "crowd",
    # Animals
    "dog", "cat", "horse", "donkey", "cow", "pig", "goat", "sheep", "chicken", "rooster", "turkey", "duck",
    "goose", "lion", "tiger", "wolf", "elephant", "bear", "monkey", "fox", "bird", "pigeon", "crow", "owl",
    "parrot", "seagull", "mouse", "squirrel", "insect", "cricket", "mosquito", "fly", "bee", "frog", "snake",
    "whale", "dolphin", "seal",
    # Instruments
    "acoustic guitar", "electric guitar", "bass guitar", "steel guitar", "banjo", "sitar", "mandolin",
    "zither", "ukulele", "piano", "electric piano", "organ", "synthesizer", "harpsichord", "accordion",
    "drum kit", "drum machine", "snare drum", "bass drum", "timpani", "tabla", "bongo", "conga", "cymbal",
    "hi-hat", "wood block", "tambourine", "rattle", "maraca", "gong", "tubular bells", "marimba",
    "glockenspiel", "vibraphone", "steelpan", "french horn", "trumpet", "trombone", "tuba", "violin", "viola",
    "cello", "double bass", "flute", "recorder", "piccolo", "saxophone", "clarinet", "oboe", "bassoon",
    "harp", "harmonica", "bagpipes", "didgeridoo", "theremin", "singing bowl", "music box", "orchestra",
    # Bells, clocks and alarms
    "church bell", "bicycle bell", "doorbell", "cowbell", "wind chime", "tuning fork", "clock",
    "alarm clock", "telephone", "smoke detector", "fire alarm", "siren", "foghorn", "whistle", "buzzer",
    # Vehicles
    "car", "race car", "truck", "bus", "motorcycle", "bicycle", "skateboard", "ambulance", "police car",
    "fire engine", "ice cream truck", "train", "subway train", "tram", "boat", "sailboat", "ship",
    "motorboat", "rowboat", "aeroplane", "jet aircraft", "helicopter", "drone", "tractor", "excavator",
    # House and tools
    "door", "drawer", "cutlery", "dishes", "frying pan", "kettle", "blender", "microwave oven", "tap",
    "sink", "bathtub", "toilet", "hair dryer", "electric toothbrush", "electric shaver", "vacuum cleaner",
    "washing machine", "sewing machine", "fan", "air conditioner", "typewriter", "keyboard", "printer",
    "camera", "cash register", "scissors", "hammer", "jackhammer", "saw", "chainsaw", "drill", "sander",
    "lawn mower", "power tool", "engine", "gears", "pulley", "radio", "television", "loudspeaker",
    # Bangs and nature
    "gun", "machine gun", "cannon", "fireworks", "firecracker", "fire", "waterfall", "stream", "ocean waves",
    "rain", "thunderstorm", "fountain", "basketball", "ball", "dice", "coin", "bottle", "glass", "balloon",
)  # fmt: skip
