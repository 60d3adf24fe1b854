// The peer of the no-change poll over HTTP: what libcurl itself costs, with nothing around it.
//
// usage: CurlPoll URL CA CERTIFICATE KEY ROUNDS
// Asks once for the ETag, then ROUNDS times whether it has changed, on the kept connection, and prints the processor
// time of one poll in microseconds and its bytes on the wire (TCP_INFO's count, sent and received).

#include <curl/curl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

static char etag[512];

static size_t on_header(char *line, size_t size, size_t count, void *context) {
  (void)context;
  size_t length = size * count;
  if (length > 6 && length < sizeof etag && strncasecmp(line, "etag: ", 6) == 0) {
    memcpy(etag, line + 6, length - 6);
    etag[strcspn(etag, "\r\n")] = 0;
  }
  return length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
  (void)bytes, (void)context;
  return size * count;
}

static double processor_time(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static unsigned long long wire_bytes(CURL *easy) {
  curl_socket_t socket = -1;
  struct tcp_info info;
  socklen_t length = sizeof info;
  curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket);
  memset(&info, 0, sizeof info);
  getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length);
  return info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_bytes_received;
}

int main(int count, char **arguments) {
  if (count != 6) return 64;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL *easy = curl_easy_init();
  curl_easy_setopt(easy, CURLOPT_URL, arguments[1]);
  curl_easy_setopt(easy, CURLOPT_CAINFO, arguments[2]);
  curl_easy_setopt(easy, CURLOPT_SSLCERT, arguments[3]);
  curl_easy_setopt(easy, CURLOPT_SSLKEY, arguments[4]);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  long rounds = atol(arguments[5]), status = 0;
  if (curl_easy_perform(easy) != CURLE_OK || !etag[0]) return 1;
  char field[600];
  snprintf(field, sizeof field, "If-None-Match: %s", etag);
  struct curl_slist *fields = curl_slist_append(NULL, field);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
  unsigned long long bytes = wire_bytes(easy);
  double start = processor_time();
  for (long round = 0; round < rounds; round++) {
    if (curl_easy_perform(easy) != CURLE_OK) return 1;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 304) return 2;
  }
  double time = processor_time() - start;
  printf("%f %f\n", time / rounds * 1e6, (double)(wire_bytes(easy) - bytes) / rounds);
  curl_slist_free_all(fields);
  curl_easy_cleanup(easy);
  return 0;
}
