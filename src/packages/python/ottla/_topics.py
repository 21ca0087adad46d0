"""Topics, as users give them."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Union


class Topic(NamedTuple):
    """A topic to create."""

    name: str
    #: None stands for the broker's `num.partitions`.
    partitions: Optional[int] = None
    #: The topic's own settings, such as `{"cleanup.policy": "compact"}`.
    configs: Mapping[str, object] = {}


#: Names with numbers of partitions; or names, texts such as "orders:3", and topics.
Topics = Union[Mapping[str, Optional[int]], Iterable[Union[str, Topic]]]


def parse_topics(topics: Topics) -> List[Topic]:
    """Return the topics of all forms."""
    if isinstance(topics, str):
        raise TypeError(f'topics is a list or a dict, such as ["{topics}"]')
    if isinstance(topics, Mapping):
        return [Topic(name, partitions) for name, partitions in topics.items()]
    return [topic if isinstance(topic, Topic) else _parse(topic) for topic in topics]


def _parse(text: object) -> Topic:
    """Parse NAME[:PARTITIONS[:REPLICATION-FACTOR[:CLEANUP-POLICY]]], as --create-topic does."""
    if not isinstance(text, str):
        raise TypeError(f'{text!r} is not a topic; a topic is a text, such as "orders:3", or an ottla.Topic')
    name, *rest = (part.strip() for part in text.split(":"))
    partitions, policy = (rest + [""])[0], (rest + ["", "", ""])[2]
    if len(rest) > 3 or not name or (partitions and not partitions.lstrip("-").isdigit()):
        raise ValueError(f'"{text}" is not a topic of the form NAME[:PARTITIONS[:REPLICATION-FACTOR[:CLEANUP-POLICY]]]')
    count = int(partitions) if partitions not in ("", "-1") else None
    return Topic(name, count, {"cleanup.policy": policy} if policy else {})


def start_argument(topic: Topic) -> str:
    """Return the value of --create-topic for a topic without settings of its own."""
    return topic.name if topic.partitions is None else f"{topic.name}:{topic.partitions}"


def text_of(value: object) -> str:
    """Return the text of a setting's value, as Kafka writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def texts_of(settings: Mapping[str, object]) -> Dict[str, str]:
    """Return settings with their values as texts."""
    if not isinstance(settings, Mapping):
        raise TypeError(f'settings are a dict, such as {{"num.partitions": 3}}, not {settings!r}')
    return {name: text_of(value) for name, value in settings.items()}
