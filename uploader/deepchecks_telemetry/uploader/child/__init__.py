"""Starting the uploader's process: which interpreter runs it, who reaps it, and how it is isolated and detached."""
