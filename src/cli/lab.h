/* The commands of vane lab; each has a file of its own. */
#ifndef VANE_CLI_LAB_H
#define VANE_CLI_LAB_H

/* Like commands: argv[0] is the name, the result an exit status. */
int lab_replay(int argc, char **argv);

#endif
