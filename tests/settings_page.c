/* settings_page: prints the table of settings as Markdown, for tools/settings-page.
 *
 * A developer's tool; runs nowhere else. */
#include <stdio.h>

#include "base/settings.h"

int main(void)
{
    settings_markdown(stdout);
    return 0;
}
