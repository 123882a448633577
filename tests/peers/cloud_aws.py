"""boto3 against moto: by the container credentials endpoint, and through the renewal of its token file."""

import os
import sys
import time
import urllib.error
import urllib.request

import boto3


def setup():
    iam = boto3.client("iam")
    iam.create_user(UserName="peer")
    iam.put_user_policy(
        UserName="peer",
        PolicyName="who",
        PolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:*","Resource":"*"}]}',
    )
    key = iam.create_access_key(UserName="peer")["AccessKey"]
    print(key["AccessKeyId"])
    print(key["SecretAccessKey"])


def call():
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        assert name not in os.environ, f"{name} reached the command"
    session = boto3.Session()
    credentials = session.get_credentials()
    assert credentials.method == "container-role", credentials.method
    arn = session.client("sts").get_caller_identity()["Arn"]
    assert arn.endswith("user/peer"), arn
    print(arn)


def works(token):
    request = urllib.request.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers={"Authorization": token})
    try:
        return urllib.request.urlopen(request).status == 200
    except urllib.error.HTTPError as error:
        assert error.code == 401, error.read()
        return False


def rotate():
    path = os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]
    first = open(path).read()
    session = boto3.Session()
    sts = session.client("sts")
    assert sts.get_caller_identity()["Arn"].endswith("user/peer")
    deadline = time.monotonic() + 60
    while works(first):
        assert time.monotonic() < deadline, "the first token never ends"
        time.sleep(0.2)
    assert open(path).read() != first, "the file was not renewed"
    # The same client, whose credentials have run out, asks again with what is in the file now.
    assert sts.get_caller_identity()["Arn"].endswith("user/peer")
    assert session.get_credentials().method == "container-role"


{"setup": setup, "call": call, "rotate": rotate}[sys.argv[1]]()
