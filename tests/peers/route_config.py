"""Writes a config.toml for the tests: the routes of data/routes, pointed at a local upstream.

    route_config.py http://127.0.0.1:PORT ROUTE.toml...
"""

import json
import sys
import tomllib


def value(item):
    """A TOML value. JSON's strings are TOML's basic strings."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return json.dumps(item)
    if isinstance(item, list):
        return "[" + ", ".join(value(one) for one in item) + "]"
    return "{ " + ", ".join(f"{name} = {value(one)}" for name, one in item.items()) + " }"


def main():
    upstream, *files = sys.argv[1:]
    print('[store]\nkind = "memory"\n\n[daemon]\nautostart = false')
    for file in files:
        with open(file, "rb") as f:
            route = tomllib.load(f)
        scopes = route.pop("scope")
        route |= {"base_url": upstream, "allow_private": True}
        print("\n[[routes]]")
        for name, item in route.items():
            print(f"{name} = {value(item)}")
        for scope in scopes:
            print("\n[[routes.scope]]")
            for name, item in scope.items():
                print(f"{name} = {value(item)}")


main()
