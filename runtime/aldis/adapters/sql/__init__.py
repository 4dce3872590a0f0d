"""The store on SQL: SQLite today, written so that Postgres is the next dialect and not a second store.

`schema` names the tables, `dialect` holds all in which databases differ, `transaction` and its parts write, `reads`
reads, `migrations` carries the schema from version to version.
"""
