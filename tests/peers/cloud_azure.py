"""azure-identity by IDENTITY_ENDPOINT: a token for the entry's resource, and a refusal that says why."""

import os
import time

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential

credential = ManagedIdentityCredential()
token = credential.get_token("https://management.azure.com/.default")
assert token.token == os.environ["PEERS_EXPECTED"], "another token"
assert token.expires_on > time.time() + 60, token.expires_on
try:
    credential.get_token("https://vault.azure.net/.default")
    raise SystemExit("the vault's token was given")
except (ClientAuthenticationError, CredentialUnavailableError) as error:
    assert "hallpass" in str(error), error
    print(error)
