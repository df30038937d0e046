/* The steps of a recording as JSON, and their times; sbc/recording/recorded.py has the words. */

#ifndef STEPS_H
#define STEPS_H

#include "json.h"

struct reel {
    PyObject *steps;    /* eight of each: input, octets, flow, both clocks, the look at the timers, the end of what was given, that of the effects,
                           fault */
    PyObject *given;    /* of all steps */
    PyObject *effects;  /* of all steps */
    PyObject *sent;     /* a class of effects, and the names of its fields: octets, flow, key, server name */
    PyObject *flows;    /* an empty list, which is given those that there are */
    PyObject *messages; /* an empty list, which is given the octets of each */
};

/* False, perhaps with an exception: as put_json; or not of that form. */
bool put_steps(struct writer *writer, const struct reel *reel, const struct objects *objects);

#endif
