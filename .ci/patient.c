/* A function for GNU make, $(ignore-interrupt now): from then on Ctrl-C is for what make runs, and make reports how that ended.
 * By itself make dies of the signal, and `make run` would look like a failure however well the server stopped. */
#include <gnumake.h>
#include <signal.h>
#include <stddef.h>

int plugin_is_GPL_compatible;
int patient_gmk_setup(void);

static char *ignore_interrupt(const char *name, unsigned int count, char **arguments)
{
    (void)name, (void)count, (void)arguments;
    signal(SIGINT, SIG_IGN);
    return NULL;
}

int patient_gmk_setup(void)
{
    gmk_add_function("ignore-interrupt", ignore_interrupt, 1, 1, GMK_FUNC_DEFAULT);
    return 1;
}
