/* routes: the table of everything that the API answers.  Runs in the server's loop thread. */
#include "api/internal.h"

const struct route api_routes[] = {
    {"GET", "/", root_get, 0},
    {"GET", "/version", version_get, 0},
    {"GET", "/health", health_get, ROUTE_OPEN},
    {"GET", "/docs", docs_get, ROUTE_OPEN},
    {"GET", "/redoc", redoc_get, ROUTE_OPEN},
    {"GET", "/openapi.json", openapi_get, ROUTE_OPEN},
    {"GET", "/web/", web_get, ROUTE_OPEN | ROUTE_TREE},
    {"POST", "/execute", execute_post, ROUTE_BODY},
    {"POST", "/execute-with-environment", execute_with_environment_post, ROUTE_BODY},
    {"POST", "/policy/check", policy_check_post, ROUTE_CODE},
    {"POST", "/environments", environments_post, ROUTE_SCRIPT},
    {"GET", "/environments", environments_get, 0},
    {"GET", "/environments/{name}", environment_get_one, 0},
    {"PATCH", "/environments/{name}", environment_patch_one, 0},
    {"DELETE", "/environments/{name}", environment_delete_one, 0},
    {"POST", "/environments/{name}/rebuild", environment_rebuild_post, 0},
    {"GET", "/environments/{name}/packages", environment_packages_get, 0},
    {"GET", "/environments/{name}/logs", environment_logs_get, 0},
    {"GET", "/images", images_get, 0},
    {"POST", "/images/gc", images_gc_post, 0},
    {"POST", "/images/import", images_import_post, 0},
    {"DELETE", "/images/{name}", image_delete, ROUTE_TREE},
    {"POST", "/workspace/se/v2/execute_code", se_handler_post, ROUTE_BODY},
    {0},
};
