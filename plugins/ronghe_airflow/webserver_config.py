"""FAB's settings in production, read by the API server: an issuer's login, or passwords where none is named.

Only names in capitals count. An account of the issuer without one of our roles is known and may do nothing.
"""

from flask_appbuilder.const import AUTH_DB, AUTH_OAUTH

from ronghe.orchestration import login
from ronghe_airflow.roles import RongheSecurityManager

SECURITY_MANAGER_CLASS = RongheSecurityManager
WTF_CSRF_ENABLED = True

if issuer := login.issuer():
    AUTH_TYPE = AUTH_OAUTH
    AUTH_USER_REGISTRATION = True
    AUTH_USER_REGISTRATION_ROLE = "Public"
    AUTH_ROLES_SYNC_AT_LOGIN = True
    AUTH_ROLES_MAPPING = {value: [role] for value, role in issuer.roles.items()}
    OAUTH_PROVIDERS = [
        {
            "name": "oidc",
            "icon": "fa-key",
            "token_key": "access_token",
            "remote_app": {
                "client_id": issuer.client_id,
                "client_secret": issuer.secret(),
                "server_metadata_url": issuer.metadata_url,
                "client_kwargs": {"scope": "openid profile email", "code_challenge_method": "S256"},
            },
        }
    ]
else:
    AUTH_TYPE = AUTH_DB
