/* A server for tests: answers one request after another and does as its path says.
 *
 *   GET /env       its environment        GET /exit/N   exits with N
 *   GET /args      its arguments          GET /kill/N   sends itself signal N
 *   GET /eat       takes memory until     GET anything else: "ok"
 *                  it is stopped
 *
 *   GET /connect/ADDRESS/PORT  says whether a connection can be opened
 *   GET /owner/PATH            whose that is
 *
 * With the argument "stubborn" it ignores SIGTERM. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

extern char **environ;

static void eat(void) {
  for (;;) {
    char *block = malloc(1 << 20);
    if (block == NULL) _exit(99);
    memset(block, 1, 1 << 20);
  }
}

static const char *try_connect(char *where) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  struct timeval patience = {.tv_sec = 1};
  char *port = strchr(where, '/');
  int client = socket(AF_INET, SOCK_STREAM, 0), failed;
  if (port == NULL) return "what?";
  *port++ = 0;
  address.sin_port = htons(atoi(port));
  inet_pton(AF_INET, where, &address.sin_addr);
  setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  failed = connect(client, (struct sockaddr *)&address, sizeof address);
  close(client);
  return failed ? "no" : "yes";
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8888)};
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  signal(SIGPIPE, SIG_IGN);
  if (argc > 1 && strcmp(argv[1], "stubborn") == 0) signal(SIGTERM, SIG_IGN);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) {
    perror("probe");
    return 98;
  }
  fprintf(stdout, "probe: uid %d\n", getuid());
  fflush(stdout);
  fprintf(stderr, "probe: listening\n");
  for (;;) {
    struct stat about;
    char request[1024] = {0}, path[256] = {0};
    int client = accept(listener, NULL, NULL);
    if (client < 0) continue;
    if (read(client, request, sizeof request - 1) > 0) sscanf(request, "GET %255s", path);
    dprintf(client, "HTTP/1.0 200 OK\r\n\r\n");
    if (strcmp(path, "/env") == 0)
      for (char **entry = environ; *entry; entry++) dprintf(client, "%s\n", *entry);
    else if (strcmp(path, "/args") == 0)
      for (int i = 1; i < argc; i++) dprintf(client, "%s\n", argv[i]);
    else if (strncmp(path, "/owner/", 7) == 0 && stat(path + 6, &about) == 0)
      dprintf(client, "%d:%d\n", (int)about.st_uid, (int)about.st_gid);
    else if (strncmp(path, "/connect/", 9) == 0)
      dprintf(client, "%s\n", try_connect(path + 9));
    else
      dprintf(client, "ok\n");
    close(client);
    if (strncmp(path, "/exit/", 6) == 0) {
      fprintf(stderr, "probe: exiting\n");
      exit(atoi(path + 6));
    }
    if (strncmp(path, "/kill/", 6) == 0) kill(getpid(), atoi(path + 6));
    if (strcmp(path, "/eat") == 0) eat();
  }
}
