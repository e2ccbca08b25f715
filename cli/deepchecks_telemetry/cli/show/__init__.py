"""The commands that only read: `status`, `inspect`, `preview`, `sent`, `catalogue`, `doctor`."""
