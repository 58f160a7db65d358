"""The servers that the stores are tested against."""

from tests.servers.fixtures import (
    as_the_door_sets_it,
    hub,
    no_waiting,
    one_reading_of_boto3s_models,
    s3,
    s3_server,
)

__all__ = ["as_the_door_sets_it", "hub", "no_waiting", "one_reading_of_boto3s_models", "s3", "s3_server"]
