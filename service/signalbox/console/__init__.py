"""The web console: pages that people read, at the addresses that the SDK prints.

Rendered on the server, and whole without scripts; with them a page follows what changes. A page is a window, never the
whole run. It shows where inputs, outputs and logs are and never what is in them: a browser asks the data plane.
"""

from signalbox.console.routes import routes as routes
