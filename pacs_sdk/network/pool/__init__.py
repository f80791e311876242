"""Associations that are kept open and used again, within limits for each peer and in all."""

from pacs_sdk.network.pool.association_pool import AssociationPool
from pacs_sdk.network.pool.pooled_association import PooledAssociation
from pacs_sdk.network.pool.values import (
    Connect,
    PeerStatistics,
    PoolableAssociation,
    PoolConfig,
    PoolStatistics,
)

__all__ = [
    "AssociationPool",
    "Connect",
    "PeerStatistics",
    "PoolConfig",
    "PoolStatistics",
    "PoolableAssociation",
    "PooledAssociation",
]
