/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Obeys lines on stdin, answering each on stdout: `open PATH`, `call N` (plugin_work of the
 * library that is open), `close`, `end`. */
#include <dlfcn.h>

#include "truth.h"

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    char line[4200];
    void *library = NULL;
    long (*plugin_work)(long) = NULL;
    long calls = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    while (fgets(line, sizeof(line), stdin) && strcmp(line, "end\n") != 0) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "open ", 5) == 0) {
            library = dlopen(line + 5, RTLD_NOW | RTLD_LOCAL);
            if (library)
                *(void **)&plugin_work = dlsym(library, "plugin_work");
            puts(library && plugin_work ? "opened" : dlerror());
        } else if (strncmp(line, "call ", 5) == 0 && library) {
            long count = atol(line + 5);
            for (long i = 0; i < count; i++, calls++)
                plugin_work(i);
            puts("called");
        } else if (strcmp(line, "close") == 0 && library) {
            dlclose(library);
            library = NULL;
            puts("closed");
        } else {
            puts("what?");
        }
    }
    truth_tell("{\"calls\":%ld}", calls);
    return 0;
}
