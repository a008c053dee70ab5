"""What monitoring costs a call: unwatched, recorded, scraped, traced, and where it hangs."""
