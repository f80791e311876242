"""Runs the migrations on the connection that the index hands over."""

from __future__ import annotations

from alembic import context

from pacs_sdk.storage.index.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()  # the caller's transaction is around it
