"""The official Anthropic SDK for Python, with nothing but its environment.

Streams a message and counts tokens, then asks for something outside the scope `messages`, which must be refused
by hallpass.
"""

import os
import sys

import anthropic

EXPECTED = "The upstream answered in five."


def main():
    token = os.environ["ANTHROPIC_API_KEY"]
    assert token.startswith(os.environ.get("PEERS_TOKEN_PREFIX", "hp_")), "the environment holds another key than a token"
    assert not holds_real_key(), "the real key is in the environment"
    client = anthropic.Anthropic(max_retries=0)
    ask = {"model": "strict-1", "messages": [{"role": "user", "content": "answer in five"}]}

    with client.messages.stream(**ask, max_tokens=64) as stream:
        words = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(words) == EXPECTED, words
    assert len(words) >= 5, f"the stream came in {len(words)} pieces"
    assert final.stop_reason == "end_turn", final.stop_reason
    assert client.messages.count_tokens(**ask).input_tokens == 5

    if os.environ.get("PEERS_DIRECT"):
        assert client.models.list().data[0].id == "strict-1"
        return
    try:
        client.models.list()
    except anthropic.PermissionDeniedError as error:
        assert error.status_code == 403, error.status_code
        assert "scope" in str(error).lower(), str(error)
        assert token not in str(error)
    else:
        sys.exit("models was answered, though only messages was granted")


def holds_real_key():
    """The test's own key begins with a mark that it tells us; the key itself it does not."""
    mark = os.environ.get("PEERS_KEY_MARK")
    return bool(mark) and any(mark in value for name, value in os.environ.items() if name != "PEERS_KEY_MARK")


main()
