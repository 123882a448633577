"""The official OpenAI SDK for Python, with nothing but its environment.

Streams a chat completion, then asks for something outside the scope `chat`, which must be refused by hallpass.
"""

import os
import sys

import openai

EXPECTED = "The upstream answered in five."


def main():
    token = os.environ["OPENAI_API_KEY"]
    assert token.startswith(os.environ.get("PEERS_TOKEN_PREFIX", "hp_")), "the environment holds another key than a token"
    assert not holds_real_key(), "the real key is in the environment"
    client = openai.OpenAI(max_retries=0)
    ask = {"model": "strict-1", "messages": [{"role": "user", "content": "answer in five"}]}

    words = []
    with client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}) as stream:
        for chunk in stream:
            words += [choice.delta.content or "" for choice in chunk.choices]
    assert "".join(words) == EXPECTED, words
    assert len(words) >= 5, f"the stream came in {len(words)} pieces"
    assert client.chat.completions.create(**ask).choices[0].message.content == EXPECTED

    if os.environ.get("PEERS_DIRECT"):
        events = [event.type for event in client.responses.create(model="strict-1", input="hi", stream=True)]
        assert events[0] == "response.created" and events[-1] == "response.completed", events
        assert len(client.embeddings.create(model="strict-1", input=["a", "b"]).data) == 2
        assert client.models.list().data[0].id == "strict-1"
        return
    for name, outside in (("models", client.models.list), ("files", client.files.list)):
        try:
            outside()
        except openai.PermissionDeniedError as error:
            assert error.status_code == 403, error.status_code
            assert "scope" in str(error).lower(), f"{name}: {error}"
            assert token not in str(error)
        else:
            sys.exit(f"{name} was answered, though only chat was granted")


def holds_real_key():
    """The test's own key begins with a mark that it tells us; the key itself it does not."""
    mark = os.environ.get("PEERS_KEY_MARK")
    return bool(mark) and any(mark in value for name, value in os.environ.items() if name != "PEERS_KEY_MARK")


main()
