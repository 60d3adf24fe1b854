#ifndef DESIRED_STATE_CCURL_H
#define DESIRED_STATE_CCURL_H

#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

// CURLOPT_QUICK_EXIT and CURLOPT_CA_CACHE_TIMEOUT are what cancellation and trust reloading rest on.
#if LIBCURL_VERSION_NUM < 0x075700
#error "libcurl 7.87 or newer is needed"
#endif

// Swift cannot call variadic C functions. Each shim below is one argument type of
// curl_easy_setopt(3), curl_easy_getinfo(3) or curl_multi_setopt(3).

static inline CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value) {
  return curl_easy_setopt(easy, option, value);
}

// libcurl copies every string option except CURLOPT_POSTFIELDS. NULL puts the built-in default away.
static inline CURLcode ccurl_set_string(CURL *easy, CURLoption option, const char *value) {
  return curl_easy_setopt(easy, option, value);
}

static inline CURLcode ccurl_set_pointer(CURL *easy, CURLoption option, void *value) {
  return curl_easy_setopt(easy, option, value);
}

static inline CURLcode ccurl_set_list(CURL *easy, CURLoption option, struct curl_slist *value) {
  return curl_easy_setopt(easy, option, value);
}

// Points to the bytes, which must outlive the handle: struct curl_blob.
static inline CURLcode ccurl_set_blob(CURL *easy, CURLoption option, void *bytes, size_t count) {
  struct curl_blob blob = {.data = bytes, .len = count, .flags = CURL_BLOB_NOCOPY};
  return curl_easy_setopt(easy, option, &blob);
}

// Copies the bytes: CURLOPT_POSTFIELDSIZE_LARGE has to be set first, or libcurl measures with strlen.
static inline CURLcode ccurl_set_post_bytes(CURL *easy, const void *bytes, curl_off_t count) {
  CURLcode code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, count);
  return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, bytes);
}

static inline CURLcode ccurl_set_on_header(CURL *easy, curl_write_callback function, void *context) {
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, context);
  return curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, function);
}

static inline CURLcode ccurl_set_on_body(CURL *easy, curl_write_callback function, void *context) {
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, context);
  return curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, function);
}

static inline CURLcode ccurl_set_before_request(CURL *easy, curl_prereq_callback function, void *context) {
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, context);
  return curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, function);
}

static inline CURLcode ccurl_set_open_socket(CURL *easy, curl_opensocket_callback function, void *context) {
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, context);
  return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, function);
}

static inline CURLcode ccurl_set_close_socket(CURL *easy, curl_closesocket_callback function, void *context) {
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, context);
  return curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, function);
}

static inline CURLcode ccurl_set_on_tls_context(CURL *easy, curl_ssl_ctx_callback function, void *context) {
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, context);
  return curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, function);
}

static inline CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return curl_multi_setopt(multi, option, value);
}

// 0 when libcurl cannot tell.
static inline long ccurl_get_long(CURL *easy, CURLINFO information) {
  long value = 0;
  return curl_easy_getinfo(easy, information, &value) == CURLE_OK ? value : 0;
}

static inline curl_off_t ccurl_get_offset(CURL *easy, CURLINFO information) {
  curl_off_t value = 0;
  return curl_easy_getinfo(easy, information, &value) == CURLE_OK ? value : 0;
}

// Macros with casts in them, which Swift's importer skips.
static inline long ccurl_auth_basic(void) { return (long)CURLAUTH_BASIC; }
static inline long ccurl_auth_bearer(void) { return (long)CURLAUTH_BEARER; }
static inline curl_socket_t ccurl_bad_socket(void) { return CURL_SOCKET_BAD; }

// --- TLS: libcurl's OpenSSL flavour ----------------------------------------------------------

// Whether this libcurl was built on OpenSSL, so that its TLS pointers are OpenSSL's.
static inline int ccurl_is_openssl(void) {
  const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
  return version->ssl_version != NULL && strstr(version->ssl_version, "OpenSSL/") != NULL;
}

// The system's trust store as compiled into libcurl, or NULL.
static inline const char *ccurl_default_ca_file(void) {
  return curl_version_info(CURLVERSION_NOW)->cainfo;
}

static inline const char *ccurl_default_ca_directory(void) {
  return curl_version_info(CURLVERSION_NOW)->capath;
}

// The TLS session of a transfer's connection to the origin; only to be used inside a callback
// of that transfer, as the pointer is valid only while the connection is the transfer's.
static inline SSL *ccurl_tls_session(CURL *easy) {
  const struct curl_tlssessioninfo *information = NULL;
  if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &information) != CURLE_OK || information == NULL) return NULL;
  return information->backend == CURLSSLBACKEND_OPENSSL ? (SSL *)information->internals : NULL;
}

static inline int ccurl_tls_new_context_index(void) {
  return CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, NULL, NULL, NULL, NULL);
}

static inline int ccurl_tls_new_session_index(void) {
  return SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

typedef void (*ccurl_on_uri)(void *context, const unsigned char *bytes, int count);

// OPENSSL_init_crypto(3): by default OpenSSL frees its tables in an atexit handler, while threads that have used it may still
// be ending; such a thread then takes the process down after its work is done. The first call in a program decides, so
// this comes before whatever may be the first. 1 if OpenSSL can be used.
static inline int ccurl_prepare_openssl(void) {
  return OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

// Calls `each` with every URI subject alternative name of a certificate, and frees the certificate. The bytes are given
// with their length: a name may hold a NUL. Returns 0 without a certificate.
static inline int ccurl_certificate_uris(X509 *certificate, ccurl_on_uri each, void *context) {
  if (certificate == NULL) return 0;
  GENERAL_NAMES *names = (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int index = 0; index < sk_GENERAL_NAME_num(names); index++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
    each(context, ASN1_STRING_get0_data(uri), ASN1_STRING_length(uri));
  }
  GENERAL_NAMES_free(names);
  X509_free(certificate);
  return 1;
}

static inline int ccurl_tls_peer_uris(SSL *session, ccurl_on_uri each, void *context) {
  return ccurl_certificate_uris(SSL_get1_peer_certificate(session), each, context);
}

// What a certificate may be used for, and by which algorithms it was made. Numbers are OpenSSL's NIDs.
struct ccurl_certificate {
  int is_authority;
  // keyCertSign or cRLSign: RFC 5280 section 4.2.1.3.
  int signs_others;
  int key_type;
  int key_bits;
  int curve;
  int signature_type;
  int signature_digest;
  // The length of the signature; with RSA that of the issuer's modulus.
  int signature_bits;
};

static inline int ccurl_tls_peer_certificate(SSL *session, struct ccurl_certificate *found) {
  X509 *certificate = SSL_get1_peer_certificate(session);
  if (certificate == NULL) return 0;
  memset(found, 0, sizeof *found);
  // X509_get_extension_flags(3): reads the extensions first; X509_get_key_usage(3): all bits set without the extension.
  uint32_t flags = X509_get_extension_flags(certificate);
  found->is_authority = (flags & EXFLAG_CA) != 0;
  found->signs_others =
    (flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(certificate) & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != 0;
  EVP_PKEY *key = X509_get0_pubkey(certificate);
  char group[64] = "";
  if (key != NULL) {
    found->key_type = EVP_PKEY_get_base_id(key);
    found->key_bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1) found->curve = OBJ_txt2nid(group);
  }
  X509_get_signature_info(certificate, &found->signature_digest, &found->signature_type, NULL, NULL);
  const ASN1_BIT_STRING *signature = NULL;
  X509_get0_signature(&signature, NULL, certificate);
  if (signature != NULL) found->signature_bits = ASN1_STRING_length(signature) * 8;
  X509_free(certificate);
  ERR_clear_error();
  return 1;
}

// The URIs of the first certificate of a PEM file.
static inline int ccurl_pem_uris(const char *path, ccurl_on_uri each, void *context) {
  BIO *file = ccurl_prepare_openssl() == 1 ? BIO_new_file(path, "r") : NULL;
  if (file == NULL) return 0;
  X509 *certificate = PEM_read_bio_X509(file, NULL, NULL, NULL);
  BIO_free(file);
  ERR_clear_error();
  return ccurl_certificate_uris(certificate, each, context);
}

static inline int ccurl_pem_passphrase(char *buffer, int size, int writing, void *context) {
  size_t length = strlen((const char *)context);
  if (length > (size_t)size) return -1;
  memcpy(buffer, context, length);
  return (int)length;
}

// How many certificates are in PEM text; 0 if it breaks off within one.
static inline int ccurl_pem_certificates(const void *bytes, size_t count) {
  if (ccurl_prepare_openssl() != 1) return 0;
  BIO *text = BIO_new_mem_buf(bytes, (int)count);
  int found = 0;
  X509 *certificate;
  ERR_clear_error();
  while ((certificate = PEM_read_bio_X509_AUX(text, NULL, NULL, NULL)) != NULL) {
    X509_free(certificate);
    found++;
  }
  unsigned long error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) found = 0;
  ERR_clear_error();
  BIO_free(text);
  return found;
}

// Whether a certificate and a private key, both in PEM form, belong together; and from when and until when the certificate
// is valid, in seconds since 1970.
static inline int ccurl_pem_pair(
    const void *certificate_bytes, size_t certificate_count, const void *key_bytes, size_t key_count,
    const char *passphrase, long long *begin, long long *expiry) {
  if (ccurl_prepare_openssl() != 1) return 0;
  BIO *text = BIO_new_mem_buf(certificate_bytes, (int)certificate_count);
  X509 *certificate = PEM_read_bio_X509_AUX(text, NULL, NULL, NULL);
  BIO_free(text);
  text = BIO_new_mem_buf(key_bytes, (int)key_count);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, ccurl_pem_passphrase, (void *)passphrase);
  BIO_free(text);
  int fits = certificate != NULL && key != NULL && X509_check_private_key(certificate, key) == 1
    && ccurl_pem_certificates(certificate_bytes, certificate_count) > 0;
  struct tm time;
  if (fits && ASN1_TIME_to_tm(X509_get0_notBefore(certificate), &time) == 1) *begin = timegm(&time);
  if (fits && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) == 1) *expiry = timegm(&time);
  EVP_PKEY_free(key);
  X509_free(certificate);
  ERR_clear_error();
  return fits;
}

// --- Linux: a thread's name, and what the kernel counted on one TCP connection -----------------

// glibc declares it under _GNU_SOURCE only, and Swift's Glibc module is built without it: pthread_setname_np(3).
int pthread_setname_np(pthread_t thread, const char *name);

// <linux/tcp.h> and <netinet/tcp.h> both define struct tcp_info and only the first has the byte counts, so they are read by their offsets, which are the kernel's stable interface (Linux 4.19):
// tcpi_bytes_received 128, tcpi_bytes_sent 200, tcpi_bytes_retrans 208. Returns 0 if it cannot tell.
static inline int ccurl_tcp_counts(int socket, unsigned long long *sent, unsigned long long *received) {
  unsigned char information[512];
  socklen_t count = sizeof information;
  unsigned long long retransmitted = 0;
  if (getsockopt(socket, 6 /* IPPROTO_TCP */, 11 /* TCP_INFO */, information, &count) != 0 || count < 216) return 0;
  memcpy(received, information + 128, 8);
  memcpy(sent, information + 200, 8);
  memcpy(&retransmitted, information + 208, 8);
  *sent -= retransmitted;
  return 1;
}

// Lets the kernel find out that the other side is gone. tcp(7): TCP_USER_TIMEOUT is how long sent data may stay
// unacknowledged, in milliseconds; the other two are in seconds. It stands for an HTTP/2 PING (RFC 9113 section 6.7) as well:
// libcurl 7.88 sends those for handles without a multi handle alone (curl_easy_upkeep(3)), and waits for no answer.
static inline void ccurl_tcp_watch(int socket, unsigned unacknowledged, int idle, int interval) {
  int on = 1;
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged, sizeof unacknowledged);
}

#endif
