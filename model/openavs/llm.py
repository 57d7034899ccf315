"""Prompt translation by a language model: which things make the sounds that are described.

OpenAVS asks for consistency in three ways, and so does this. Of models and of prompts: every model is asked
in every wording, and more than half must name a noun. Of frames: what it is told was heard over the last
seconds (`Ears` in rules.py), and the same sounds always have the same answer. How the authors do it is not
public.

A stream does not wait for long: an answer that comes late is there for the next snippet that sounds the same,
and the table takes its place meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import Any

from model.openavs import questions
from model.openavs.endpoint import NoAnswer
from model.openavs.interfaces import PERSON, Prompts, Sounds
from model.openavs.table import Table
from model.openavs.translations import Translation, Translations, key_of

log = logging.getLogger(__name__)
MOST_WAITING = 8
REST_S, LONGEST_REST_S = 5.0, 300.0  # after an answer that did not come, doubled with each

Ask = Callable[[str, Sequence[dict[str, str]]], str]  # model, messages -> its words; raises NoAnswer


class Llm:
    """Asks in a thread, remembers, and falls back to the table.

    Args:
        models: who is asked.
        wordings: in how many ways.
        nouns: what can be seen; None: anything.
        words: the user's, for the model to prefer.
        deadline_s: how long a snippet waits for an answer of its own.
    """

    def __init__(
        self,
        table: Table,
        ask: Ask,
        models: Sequence[str],
        *,
        wordings: int = 1,
        nouns: Collection[str] | None = None,
        words: Collection[str] = (),
        deadline_s: float = 0.3,
        memory: Translations | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.table, self.ask, self.models = table, ask, tuple(models)
        self.wishes, self.nouns, self.deadline_s = questions.WISHES[:wordings], nouns, deadline_s
        offered = words if nouns is None else nouns
        self.words = sorted(offered) if len(offered) <= questions.MOST_WORDS else []
        self.memory = Translations(None, questions.checked) if memory is None else memory
        self.by_llm = self.by_table = self.failed = 0
        self.trouble = ""
        self._clock, self._rest_s, self._asks_from_s = clock, REST_S, 0.0
        self._waiting: OrderedDict[str, tuple[str, ...]] = OrderedDict()  # questions, newest last
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def prompts(self, sounds: Sounds) -> Prompts:
        """The nouns that the sounds ask for, each by the surest of those that speak for it."""
        plain = self.table.prompts(sounds)
        texts = self._texts(sounds)
        answer = self._answer(texts) if texts else {}
        if answer is None:
            self.by_table += 1
            return plain
        self.by_llm += bool(texts)
        scores = {noun: max(sounds.get(text, 0.0) for text in spoken) for noun, spoken in answer.items()}
        people = frozenset(noun for noun in scores if self.table.noun(noun) == PERSON)
        return Prompts(scores, speech=plain.speech, singing=plain.singing, music=plain.music, people=people)

    def offscreen_text(self, sounds: Sounds) -> str | None:
        return self.table.offscreen_text(sounds)

    def stats(self) -> dict[str, Any]:
        """translation: who has the word now; by_llm, by_table: snippets; unanswered: questions."""
        resting = self._clock() < self._asks_from_s
        return {
            "translation": "table" if resting else "llm",
            "by_llm": self.by_llm,
            "by_table": self.by_table,
            "unanswered": self.failed,
        }

    def _texts(self, sounds: Sounds) -> tuple[str, ...]:
        """What is sure enough to be asked about, in an order that does not change with the scores."""
        sure = [
            text for text, score in sounds.items() if score >= self.table.sure and self.table.is_sound(text)
        ]
        return tuple(sorted(sorted(sure, key=lambda text: -sounds[text])[: questions.MOST_TEXTS]))

    def _answer(self, texts: tuple[str, ...]) -> Translation | None:
        """What is known, or comes in time; None: neither. A question is waited for once."""
        key = self._key(texts)
        with self._changed:
            known = self.memory.get(key)
            if known is not None or key in self._waiting or self._clock() < self._asks_from_s:
                return known
            self._waiting[key] = texts
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="translation", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            self._changed.wait_for(lambda: key not in self._waiting, timeout=self.deadline_s)
            return self.memory.get(key)

    def _key(self, texts: tuple[str, ...]) -> str:
        nouns = None if self.nouns is None else sorted(self.nouns)
        return key_of(
            {
                "sounds": texts, "nouns": nouns, "words": self.words, "models": self.models,
                "wishes": [*self.wishes, questions.RULES],
            }
        )  # fmt: skip

    def _work(self) -> None:
        """Take the newest question, for ever."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                key, texts = next(reversed(self._waiting.items()))
            try:
                answer, trouble = self._asked(texts), ""
            except (NoAnswer, ValueError) as error:
                answer, trouble = None, str(error)
            except Exception as error:  # else nobody would be asked ever again
                answer, trouble = None, f"{type(error).__name__} while it was asked"
            with self._changed:
                if answer is None:
                    self._rest(trouble)
                    self._waiting.clear()
                else:
                    self.memory.add(key, answer)
                    self._rest_s = REST_S
                    self._waiting.pop(key, None)
                self._changed.notify_all()

    def _asked(self, texts: tuple[str, ...]) -> Translation:
        """What more than half of all models and wordings say. Raises `NoAnswer` or `ValueError`."""
        answers = []
        for model in self.models:
            for wish in self.wishes:
                asked = questions.messages(wish, texts, self.words, self.nouns is not None)
                answers.append(questions.read(self.ask(model, asked), texts, self.nouns))
        return questions.agreed(answers)

    def _rest(self, trouble: str) -> None:
        if not self.trouble:
            log.warning("the language model is of no help, the table translates meanwhile: %s", trouble)
        self.failed, self.trouble = self.failed + 1, trouble
        self._asks_from_s = self._clock() + self._rest_s
        self._rest_s = min(LONGEST_REST_S, 2 * self._rest_s)
