"""What a section of the configuration is, and the kinds of values that several of them have."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from streaming.complaints import Expects

HOPS_S = (1.0, 0.5, 0.25, 0.2, 0.125, 0.1)


def _whole_snippets_a_second(hop_s: float) -> float:
    if hop_s not in HOPS_S:
        raise ValueError("1 / hop_s is not whole")
    return hop_s


Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Side = Annotated[int, Field(ge=16, le=8192)]
HopS = Annotated[
    float, AfterValidator(_whole_snippets_a_second), Expects(f"one of {', '.join(map(str, HOPS_S))}")
]
SourceId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$"), Expects("1 to 64 of the characters A-Z a-z 0-9 _ . -")
]
Topic = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", max_length=200),
    Expects("text of A-Z a-z 0-9 _ . -, with / between levels"),
]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$"), Expects("auto, cpu, cuda or cuda:NUMBER")]


class Section(BaseModel):
    """Every section refuses keys it does not know, and cannot be changed once checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_sets_nothing(cls, values: Any) -> Any:
        return {} if values is None else values
