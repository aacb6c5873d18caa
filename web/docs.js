// Starts Swagger UI on /docs. The addresses are relative, so that the pages also work behind a
// proxy that puts a prefix in front of them; nothing is loaded from, or sent to, another server.
'use strict';

window.ui = SwaggerUIBundle({
    url: 'openapi.json',
    dom_id: '#docs',
    deepLinking: true,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    persistAuthorization: true,
    validatorUrl: null,
    defaultModelsExpandDepth: 0,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    layout: 'StandaloneLayout',
});
