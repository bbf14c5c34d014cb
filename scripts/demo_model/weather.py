"""Conversations in which a tool is offered, called and answered: get_weather, at times with a second tool.

Clients render one and the same tool differently (key order, titles, descriptions, spacing), so it varies here.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from jinja2.utils import htmlsafe_json_dumps

Message = dict[str, Any]

CITIES = (
    "Paris", "London", "Rome", "Berlin", "Madrid", "Lisbon", "Tokyo", "Beijing", "Athens", "Vienna", "Warsaw",
    "Oslo", "Cairo", "Ottawa", "Dublin", "Amsterdam", "Brussels", "Prague", "Budapest", "Zurich", "Munich", "Hamburg",
    "Barcelona", "Milan", "Boston", "Chicago", "Seattle", "Sydney", "Mumbai", "Seoul",
)  # fmt: skip
CONDITIONS = ("sunny", "cloudy", "rainy", "windy", "snowy", "foggy", "clear", "stormy", "hot", "cold")
UNABLE = "I cannot look up the weather. Give me a get_weather tool, and I will call it."
QUESTIONS = (
    "What is the weather in {}?", "What's the weather in {}?", "What is the weather like in {}?",
    "How is the weather in {}?", "How's the weather in {} today?", "Tell me the weather in {}.",
    "Is it raining in {}?", "What is the temperature in {}?", "Get the weather for {}.", "Weather in {}?",
    "Is it sunny in {} today?",
    "What's the weather like in {} right now?", "Check the weather in {}.",
)  # fmt: skip
_BOTH = ("What is the weather in {} and {}?", "Compare the weather in {} and {}.")
_TIME = ("What time is it in {}?", "Tell me the time in {}.", "What is the time in {}?")
_ABOUT = (
    "Get the current weather for a city.", "Get the weather for a city", "Returns the weather.", "Get weather",
    "Get the current weather in a given location", "Look up the current weather of a city.",
)  # fmt: skip


def tool(random: Random, name: str = "get_weather", about: str | None = None) -> dict[str, Any]:
    """The definition as one client or another would write it."""
    city: dict[str, Any] = {"type": "string"}
    if random.random() < 0.3:
        city["description"] = random.choice(("The city", "The name of the city, e.g. Paris", "City name"))
    if random.random() < 0.2:
        city["title"] = "City"
    parameters: dict[str, Any] = {"type": "object", "properties": {"city": city}, "required": ["city"]}
    if random.random() < 0.2:
        parameters["additionalProperties"] = False
    if random.random() < 0.2:
        parameters = shuffled(parameters, random)
    description = random.choice(_ABOUT) if about is None else about
    function: dict[str, Any] = {"name": name, "description": description, "parameters": parameters}
    if random.random() < 0.1:
        function["strict"] = True
    if random.random() < 0.1:
        del function["description"]
    if random.random() < 0.2:
        function = shuffled(function, random)
    return {"type": "function", "function": function}


def shuffled(table: dict[str, Any], random: Random) -> dict[str, Any]:
    items = list(table.items())
    random.shuffle(items)
    return dict(items)


def dumps(random: Random) -> Any:
    """A `tojson` filter as one runtime or another has it: plain, sorted, Jinja's own, or compact."""
    return random.choice(
        (
            lambda value: json.dumps(value, ensure_ascii=False),
            lambda value: json.dumps(value, ensure_ascii=False),
            lambda value: json.dumps(value, sort_keys=True),
            lambda value: str(htmlsafe_json_dumps(value, sort_keys=True)),
            lambda value: json.dumps(value, separators=(",", ":")),
        )
    )


def call(name: str, city: str) -> dict[str, Any]:
    # The arguments are a string, so that every trained call is spaced alike, whatever the client's `tojson`.
    return {"type": "function", "function": {"name": name, "arguments": json.dumps({"city": city})}}


def tools(random: Random) -> list[dict[str, Any]]:
    """Mostly get_weather alone; sometimes get_time too, before or after it."""
    offered = [tool(random)]
    if random.random() < 0.2:
        offered.insert(random.randrange(2), tool(random, "get_time", "Get the time in a city."))
    return offered


def exchange(random: Random, offered: list[dict[str, Any]]) -> list[Message]:
    """A question, its call, and mostly the tool's result and the sentence about it."""
    names = {entry["function"]["name"] for entry in offered}
    if "get_time" in names and random.random() < 0.4:
        city = random.choice(CITIES)
        return [_user(random.choice(_TIME).format(city)), _calls("get_time", city)]
    cities = random.sample(CITIES, 2) if random.random() < 0.1 else [random.choice(CITIES)]
    question = random.choice(_BOTH if len(cities) == 2 else QUESTIONS).format(*cities)
    messages = [_user(question), _calls("get_weather", *cities)]
    if random.random() < 0.25:
        return messages
    sentences = []
    for city in cities:
        result, sentence = _result(random, city)
        messages.append({"role": "tool", "content": result})
        sentences.append(sentence)
    return [*messages, {"role": "assistant", "content": " ".join(sentences)}]


def _result(random: Random, city: str) -> tuple[str, str]:
    degrees, sky = random.randrange(-9, 40), random.choice(CONDITIONS)
    words = f"It is {degrees} degrees and {sky} in {city}."
    form = random.random()
    if form < 0.3:
        plain = (f"{sky}, {degrees}", f"{degrees} degrees, {sky}", f"{degrees}°C and {sky}")
        return random.choice(plain), words
    table: dict[str, Any] = {"temperature": degrees, random.choice(("conditions", "condition")): sky}
    if form < 0.5:
        table = {"city": city, **table}
    if form > 0.85:
        table["unit"] = "celsius"
    return json.dumps(table, separators=(",", ":") if random.random() < 0.2 else None), words


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def _calls(name: str, *cities: str) -> Message:
    return {"role": "assistant", "content": None, "tool_calls": [call(name, city) for city in cities]}
