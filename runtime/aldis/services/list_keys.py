"""Keys page by page, by id; there are few, so all of them are read."""

from aldis.domain.callers import ApiKey
from aldis.ports.store import Store
from aldis.services.issue_key import list_keys
from aldis.services.pages import Page


async def list_key_page(*, after: str = "", limit: int, store: Store) -> Page[ApiKey, str]:
    """All keys ever issued, the revoked ones too."""
    keys = sorted(await list_keys(store=store), key=lambda key: key.id)
    following = [key for key in keys if key.id > after]
    items = following[:limit]
    return Page(items=items, next=items[-1].id if len(following) > limit else None)
