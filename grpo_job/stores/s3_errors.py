"""What S3's errors mean: whether a retry can help, and the message with the cure."""

import re

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    CapacityNotAvailableError,
    ChecksumError,
    ClientError,
    ConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    ProfileNotFound,
)
from urllib3.exceptions import HTTPError

from grpo_job.outcomes import causes, in_one_line
from grpo_job.stores.retries import StoreFailed, TooSlow, is_untrusted

# Client errors that a retry can fix: damage in transit, and concurrent requests.
PASSING = {
    "BadDigest",
    "ConditionalRequestConflict",
    "IncompleteBody",
    "NoSuchUpload",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "XAmzContentSHA256Mismatch",
}
LONGEST_WORDS = 300
# Of botocore's own errors, those of the network. It raises the others for what it was given or found on this machine.
OF_NETWORK: tuple[type[BotoCoreError], ...] = (ConnectionError, HTTPClientError, IncompleteReadError, ChecksumError)
OF_NETWORK += (FlexibleChecksumError, CapacityNotAvailableError, MetadataRetrievalError)
# botocore lets some of urllib3's errors through if a body is truncated.
FROM_STORE = (BotoCoreError, Boto3Error, ClientError, HTTPError, OSError, RecursionError, TooSlow)
HOPELESS = (FileNotFoundError, PermissionError)

CURES = {
    "InvalidAccessKeyId": "the store does not know the access key: correct AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the access key and the secret do not match: correct AWS_ACCESS_KEY_ID or"
    " AWS_SECRET_ACCESS_KEY",
    "InvalidToken": "the session token is wrong: correct AWS_SESSION_TOKEN",
    "ExpiredToken": "the credentials have expired: get new ones",
    "TokenRefreshRequired": "the credentials have expired: get new ones",
    "RequestTimeTooSkewed": "the clock of this machine is wrong: correct it",
    "NoSuchBucket": "there is no such bucket: create it or correct its name",
    "EntityTooLarge": "the store, or a proxy before it, takes no request of this size: raise its limit to 20 MB or more"
    " (client_max_body_size of nginx)",
    "InvalidRegionName": "the store has no such region: set AWS_DEFAULT_REGION to one that it names",
    "InvalidBucketName": "the name of the bucket is not valid: correct it",
    "AccessDenied": "the credentials have no permission for {action}: allow them s3:PutObject, s3:GetObject,"
    " s3:DeleteObject and s3:ListBucket",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set AWS_DEFAULT_REGION to it",
    "PermanentRedirect": "the bucket is in another region: set AWS_DEFAULT_REGION to it",
    "IllegalLocationConstraintException": "the bucket is in another region: set AWS_DEFAULT_REGION to it",
    "NotImplemented": "the store does not support {action}: use another store",
}
BY_STATUS = {"301": "PermanentRedirect", "403": "AccessDenied", "413": "EntityTooLarge", "501": "NotImplemented"}
# What the store's own words mean, whatever its code is: they are more exact.
BY_WORDS = {
    r"kms|encryption key": "the key of the bucket's encryption refused it: allow the credentials kms:GenerateDataKey"
    " and kms:Decrypt, and enable the key",
    r"object.?lock|retention|legal.?hold|immutab|\bworm\b": "the bucket keeps its objects for a time (object lock), but"
    " the job replaces and removes its files: use a bucket without",
    r"quota|storage.?(is.)?full|insufficient.?storage|free drive": "the store is full: free some space there, or raise"
    " the quota",
}
# The credentials were good, and are too old now.
EXPIRED = {"401", "ExpiredToken", "ExpiredTokenException", "InvalidIdentityToken", "RequestExpired"}
EXPIRED |= {"TokenRefreshRequired", "Unauthorized"}
# Said of credentials that were replaced, as of wrong ones. HEAD has no body, so only the status is known.
REPLACED = {"400", "403", "AccessDenied", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken"}
REPLACED |= {"SignatureDoesNotMatch"}


def wait(error: BaseException) -> float | None:
    """The least number of seconds to wait before a retry; None if a retry cannot help."""
    if isinstance(error, RecursionError) or is_untrusted(error):
        return None
    for cause in causes(error):
        if isinstance(cause, ClientError):
            return _wait_after_answer(cause)
        if isinstance(cause, HOPELESS) or is_local(cause):
            return None
    return 0.0 if isinstance(error, FROM_STORE) else None


def code_of(error: BaseException) -> str:
    """S3's name for the error, "" if it did not come from the store."""
    if isinstance(error, RecursionError):
        # botocore looks up the region of the bucket, and that request is redirected too.
        return "PermanentRedirect"
    for cause in causes(error):
        if isinstance(cause, ClientError):
            code = str(cause.response.get("Error", {}).get("Code", ""))
            return BY_STATUS.get(code, code)
    return ""


def is_missing(error: BaseException) -> bool:
    """Whether the store says that there is no such object."""
    return code_of(error) in ("404", "NoSuchKey", "NotFound")


def is_local(error: BaseException) -> bool:
    """Whether botocore raised it without the store: for an address, a variable, a profile or a file of the client."""
    return isinstance(error, BotoCoreError) and not isinstance(error, OF_NETWORK)


def failed(error: BaseException, uri: str, endpoint: str) -> StoreFailed:
    """The failure with the message that a user reads."""
    if isinstance(error, NoCredentialsError):
        cure = "no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a role"
    elif isinstance(error, ProfileNotFound):
        cure = f"{in_one_line(error)}: correct or unset AWS_PROFILE, or name it in AWS_CONFIG_FILE"
    elif cure := _cure_by_words(error) or CURES.get(code_of(error), ""):
        cure = cure.format(action=_action(error)) + words_of(error)
    elif is_local(error) or isinstance(error, ValueError):
        said = in_one_line(error).rstrip(": ")
        cure = f"{said}: correct the address, the AWS_* variables or the files that they name"
    else:
        cure = f"unexpected response from {endpoint} ({in_one_line(error)}): check AWS_ENDPOINT_URL_S3 and the network"
    return StoreFailed(f"{uri}: {cure}.", outage=wait(error) is not None)


def _wait_after_answer(error: ClientError) -> float | None:
    facts = error.response.get("ResponseMetadata", {})
    status = int(facts.get("HTTPStatusCode", 0))
    passing = (status >= 500 and status not in (501, 507)) or status in (408, 429)
    if not passing and code_of(error) not in PASSING:
        return None
    asked = str(facts.get("HTTPHeaders", {}).get("retry-after", "0"))
    return float(asked) if asked.isdigit() else 0.0


def _cure_by_words(error: BaseException) -> str:
    said = f"{code_of(error)} {words_of(error)}".lower()
    return next((cure for pattern, cure in BY_WORDS.items() if re.search(pattern, said)), "")


def words_of(error: BaseException) -> str:
    """The store's own words in brackets, "" if it said nothing."""
    for cause in causes(error):
        if isinstance(cause, ClientError):
            said = cause.response.get("Error", {})
            message = " ".join(str(said.get("Message", "")).split())[:LONGEST_WORDS].rstrip(".")
            return f" (the store says {said.get('Code', '')}: {message})" if message else ""
    return ""


def _action(error: BaseException) -> str:
    for cause in causes(error):
        if isinstance(cause, ClientError):
            return str(cause.operation_name)
    return "write"
