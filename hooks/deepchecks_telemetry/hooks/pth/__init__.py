"""The .pth file that attaches to deepchecks in one virtual environment."""
