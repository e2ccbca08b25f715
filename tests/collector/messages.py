"""The resource of a request, as our uploader sends it."""

RESOURCE = {
    "service.name": "deepchecks",
    "service.version": "0.19.1",
    "app.installation.id": "0b6ee9b4-1f59-4a0e-9f0e-3f0c5a1c7c11",
    "os.type": "linux",
    "os.name": "debian",
    "os.version": "12",
    "process.runtime.name": "cpython",
    "process.runtime.version": "3.11",
    "deepchecks.runtime": "script",
}
