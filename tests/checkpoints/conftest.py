"""The servers that mirrors and leases are tested against."""

from tests.servers.fixtures import as_the_door_sets_it, hub, one_reading_of_boto3s_models, s3, s3_server

__all__ = ["as_the_door_sets_it", "hub", "one_reading_of_boto3s_models", "s3", "s3_server"]
