// Starts Redoc on /redoc. Its search would run in a worker made from a blob, which our content
// security policy forbids, so it is off.
'use strict';

Redoc.init(
    'openapi.json',
    {
        disableSearch: true,
        hideDownloadButton: true,
        scrollYOffset: '.bar',
        expandResponses: '200',
        nativeScrollbars: true,
        theme: {
            colors: { primary: { main: '#8a4b1f' } },
            typography: {
                fontFamily: 'system-ui, sans-serif',
                headings: { fontFamily: 'system-ui, sans-serif' },
                code: { fontFamily: 'ui-monospace, monospace' },
            },
        },
    },
    document.getElementById('reference'),
);
