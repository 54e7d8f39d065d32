"""What may happen to a training sample, and with what probability."""

from dataclasses import dataclass, fields

from sdnet_pl.errors import InputError


def check_probability(name: str, value: float) -> None:
    """Refuse a number that is not a probability.

    Args:
        name: What the data module calls it.
        value: What should lie in [0, 1].

    Raises:
        InputError: It does not, or is NaN.
    """
    if not 0 <= value <= 1:
        raise InputError(f"data.{name} is {value}; a probability lies between 0 and 1.")


@dataclass(frozen=True)
class SampleRecipe:
    """The probabilities by which training samples are drawn, each in [0, 1], and the range of people's sizes.

    Args:
        photo: A sample is a photo with its mask or alpha and no composite.
        no_person: A composite shows its background alone.
        second_person: A second person is behind the first, merged exactly, and a third behind the second.
        whole_person: A person is in the middle and large, as portraits show people.
        person_scale: Range of the other people's longer side relative to the crop, drawn log-uniformly.
        object_in_front: An object that is not part of the people stands before them.
        tone: The whole scene is in another light: exposure, colour cast, gamma.
        mirror: A foreground, background or photo has left and right exchanged.
        color_jitter: Each of them has other colours: brightness, contrast, saturation, hue.
        background_blur: A background is out of focus.

    Raises:
        InputError: A probability is outside of [0, 1], or the range is not one.
    """

    photo: float = 0.0
    no_person: float = 0.0
    second_person: float = 0.0
    whole_person: float = 0.0
    person_scale: tuple[float, float] = (0.6, 2.0)
    object_in_front: float = 0.0
    tone: float = 0.0
    mirror: float = 0.5
    color_jitter: float = 0.8
    background_blur: float = 0.25

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            if name != "person_scale":
                check_probability(name, getattr(self, name))
        if not 0 < self.person_scale[0] <= self.person_scale[1]:
            raise InputError(
                f"data.person_scale is {list(self.person_scale)}; give two numbers above 0, smaller first."
            )


PLAIN = SampleRecipe()
"""One person over one background, mirrored, in other colours and blurred as by default."""
