"""A service that tells its visitors who they are, as somebody would write it for JupyterHub."""

import json
import os
from urllib.parse import urlparse

from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado import ioloop, web


class WhoAmI(HubOAuthenticated, web.RequestHandler):
    @web.authenticated
    def get(self):
        self.set_header("content-type", "application/json")
        self.write(json.dumps(self.get_current_user()))


prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
app = web.Application(
    [
        (prefix, WhoAmI),
        (prefix + "oauth_callback", HubOAuthCallbackHandler),
    ],
    cookie_secret=os.urandom(32),
)
where = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
app.listen(where.port, where.hostname)
ioloop.IOLoop.current().start()
