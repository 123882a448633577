"""The vendors' own SDKs, given nothing of hallpass but an assertion, complete their exchange and call.

  issuers_sdk.py anthropic|openai|gcp-file|gcp-executable BASE_URL FILE|COMMAND
"""

import os
import sys

what, url, source = sys.argv[1:4]
PROVIDER = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/d"


def anthropic():
    import anthropic as sdk

    assert "ANTHROPIC_API_KEY" not in os.environ and "ANTHROPIC_AUTH_TOKEN" not in os.environ
    client = sdk.Anthropic(base_url=url, max_retries=0)
    answer = client.messages.create(model="strict-1", max_tokens=8, messages=[{"role": "user", "content": "ping"}])
    assert answer.content[0].text == "pong", answer


def openai():
    import openai as sdk

    provider = {"token_type": "jwt", "get_token": lambda: open(source).read().strip()}
    identity = {"identity_provider_id": "wip_1", "service_account_id": "sa_1", "provider": provider}
    client = sdk.OpenAI(base_url=url + "/openai/v1", workload_identity=identity, max_retries=0)
    # The one thing that has no setting: whose exchange it is.
    client._workload_identity_auth.token_exchange_url = url + "/openai/oauth/token"
    assert client.models.list().data[0].id == "strict-1"


def gcp(credential_source):
    from google.auth import identity_pool, pluggable
    from google.auth.transport.requests import AuthorizedSession

    info = {
        "type": "external_account",
        "audience": PROVIDER,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": url + "/sts/v1/token",
        "service_account_impersonation_url": url
        + "/iam/v1/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com:generateAccessToken",
        "credential_source": credential_source,
    }
    kind = pluggable if "executable" in credential_source else identity_pool
    credentials = kind.Credentials.from_info(info).with_scopes(["https://www.googleapis.com/auth/devstorage.read_only"])
    answer = AuthorizedSession(credentials).get(url + "/storage/v1/b/b1")
    assert answer.status_code == 200 and answer.json()["name"] == "b1", answer.text


if what == "anthropic":
    anthropic()
elif what == "openai":
    openai()
elif what == "gcp-file":
    gcp({"file": source})
else:
    os.environ["GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"] = "1"
    gcp({"executable": {"command": source, "timeout_millis": 30000}})
