"""moto's side of the AWS peers test, and what its clients do.

  issuers_aws.py setup                   a user who may assume a role, and a role that may read one bucket; the user's key
  issuers_aws.py call METHOD ROLE        boto3 by this way of credentials: it is the role, may list and may not create
"""

import json
import os
import sys

import boto3


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def setup():
    iam = boto3.client("iam")
    iam.create_user(UserName="peer")
    role = "arn:aws:iam::123456789012:role/agents"
    iam.put_user_policy(UserName="peer", PolicyName="assume", PolicyDocument=policy(
        {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], "Resource": role},
        {"Effect": "Allow", "Action": "sts:GetSessionToken", "Resource": "*"}))
    trust = policy({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})
    iam.create_role(RoleName="agents", AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName="agents", PolicyName="read", PolicyDocument=policy(
        {"Effect": "Allow", "Action": ["s3:ListAllMyBuckets", "s3:ListBuckets", "sts:GetCallerIdentity"], "Resource": "*"}))
    key = iam.create_access_key(UserName="peer")["AccessKey"]
    print(key["AccessKeyId"])
    print(key["SecretAccessKey"])


def call(method, name):
    session = boto3.Session()
    credentials = session.get_credentials()
    assert credentials.method == method, credentials.method
    assert credentials.token, "there is no session token"
    arn = session.client("sts").get_caller_identity()["Arn"]
    assert f"assumed-role/agents/{name}" in arn, arn
    s3 = session.client("s3")
    s3.list_buckets()
    try:
        s3.create_bucket(Bucket="b1")
    except s3.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied", error
    else:
        sys.exit("the role created a bucket")
    print(arn)


if sys.argv[1] == "setup":
    setup()
else:
    call(*sys.argv[2:])
