"""One Claude Code session over two tokens: a message, all leases revoked, another message.

    assistants_claude.py CLAUDE HALLPASS
"""

import json
import subprocess
import sys


def main():
    claude, hallpass = sys.argv[1:]
    command = [claude, "-p", "--model", "strict-1", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(text):
        message = {"type": "user", "message": {"role": "user", "content": [{"type": "text", "text": text}]}}
        child.stdin.write(json.dumps(message) + "\n")
        child.stdin.flush()
        for line in child.stdout:
            event = json.loads(line)
            if event.get("type") == "result":
                assert "upstream answered in five" in str(event.get("result")), event
                return
        sys.exit("no result came")

    say("one")
    listed = subprocess.run([hallpass, "lease", "list", "--json"], capture_output=True, text=True, check=True)
    leases = json.loads(listed.stdout)["items"]
    assert leases, "no lease was given out"
    for lease in leases:
        subprocess.run([hallpass, "lease", "revoke", lease["id"]], capture_output=True, check=True)
    say("two")
    child.stdin.close()
    sys.exit(child.wait(30))


main()
