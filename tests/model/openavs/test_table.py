"""From sounds to nouns, and from nouns to the user's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import ModelError
from model.openavs.table import Table

TABLE = Table()


def test_a_noun_has_the_score_of_its_surest_sound() -> None:
    prompts = TABLE.prompts({"Bark": 0.4, "Dog": 0.6, "Meow": 0.2})
    assert prompts.nouns == {"dog": 0.6, "cat": 0.2}


def test_singing_counts_more_than_its_score_and_never_above_1() -> None:
    assert TABLE.prompts({"Singing": 0.1}).nouns["person"] == pytest.approx(0.6)
    assert TABLE.prompts({"Singing": 0.9}).nouns["person"] == 1.0


def test_a_crowd_or_an_engine_asks_for_nobody() -> None:
    assert TABLE.prompts({"Applause": 0.9, "Crowd": 0.8, "Cheering": 0.7, "Engine": 0.9}).nouns == {}


def test_a_family_is_heard_in_its_members_and_in_what_has_no_noun() -> None:
    (vehicle,) = TABLE.prompts({"Truck": 0.7}).families
    assert vehicle.score == 0.7
    assert "car" in vehicle.members
    (animal,) = TABLE.prompts({"Bark": 0.5}).families
    assert animal.score == 0.5


def test_the_text_of_a_sound_is_the_surest_that_is_a_sound_of_its_own() -> None:
    assert TABLE.offscreen_text({"Inside, small room": 0.9, "Applause": 0.4, "Speech": 0.2}) == "applause"
    assert TABLE.offscreen_text({"Applause": 0.05}) is None
    assert TABLE.offscreen_text({}) is None


@pytest.mark.parametrize(
    ("noun", "words", "name"),
    [
        ("dog", ["cat", "Puppy"], "Puppy"),
        ("person", ["woman", "violin"], "woman"),
        ("person", ["woman", "man"], "person"),  # a sound does not tell which
        ("person", ["man", "Person"], "Person"),
        ("dog", ["violin"], "dog"),
    ],
)
def test_the_vocabulary_has_the_last_word(noun: str, words: list[str], name: str) -> None:
    assert TABLE.called(noun, words) == name


def test_nobody_is_meant_by_a_word_of_two_nouns() -> None:
    entries = TABLE.entries.nouns
    words = [word for name, noun in entries.items() for word in {name, *noun.words}]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nouns: {dog: {tags: [Bark], colour: red}}", "nouns.dog.colour"),
        ("nouns: {dog: {tags: {Bark: -1}}}", "nouns.dog.tags.Bark"),
        ("nouns: {}\nfamilies: {animal: {tags: [], members: [yeti]}}", "families.animal: found 'yeti'"),
        ("nouns: [", "not valid YAML"),
        ("", "table.yaml: "),
    ],
)
def test_what_is_no_table_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "table.yaml"
    path.write_text(text)
    with pytest.raises(ModelError) as error:
        Table(path)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        Table(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("noun", "words", "name"),
    [
        ("woman", ["Woman", "man"], "Woman"),
        ("woman", ["person"], "person"),
        ("woman", ["man"], "woman"),  # a word for the same noun, and another thing
        ("acoustic guitar", ["Acoustic guitar", "guitar"], "Acoustic guitar"),
        ("acoustic guitar", ["violin"], "acoustic guitar"),
    ],
)
def test_the_vocabulary_has_the_last_word_on_nouns_of_other_translations(
    noun: str, words: list[str], name: str
) -> None:
    assert TABLE.called(noun, words) == name


def test_a_sentence_means_the_nouns_whose_words_are_in_it() -> None:
    reads = Table(reads=True)
    sounds = {"Two puppies bark, a woman talks and cars pass; a race car brakes.": 0.7, "Meow": 0.4}
    assert reads.prompts(sounds).nouns == {"person": 0.7, "car": 0.7, "cat": 0.4}
    assert TABLE.prompts(sounds).nouns == {"cat": 0.4}
