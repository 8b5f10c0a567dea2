/* A key pair of our own: two new files, or none. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/public_key.h"
#include "bailiff/file.h"

static void bio_freep(BIO **bio)
{
    BIO_free(*bio);
}

/* A new file, whole on disk, or no file. */
static bool write_new(const char *path, const void *data, size_t len, mode_t mode, struct fault *fault)
{
    own(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

    if (fd < 0 && errno == EEXIST)
        return fault_set(fault, FAULT_CONFLICT, "%s is there already; move it away, or keep using it.", path);
    if (fd < 0)
        return fault_set(fault, FAULT_INVALID, "Cannot write %s: %s.", path, strerror(errno));
    if (!fd_write_all(fd, data, len) || fchmod(fd, mode) < 0 || fsync(fd) < 0) {
        fault_set(fault, FAULT_INVALID, "Cannot write %s: %s.", path, strerror(errno));
        unlink(path);
        return false;
    }
    return true;
}

static bool sync_folder_of(const char *path, struct fault *fault)
{
    const char *slash = strrchr(path, '/');
    own(freep) char *folder = !slash          ? xstrdup(".")
                              : slash == path ? xstrdup("/")
                                              : xstrndup(path, (size_t)(slash - path));

    return file_sync_folder(folder, fault);
}

static bool write_pair(const char *private_file, const char *jwks_file, BIO *pem, const struct text *jwks,
                       struct fault *fault)
{
    char *data = NULL;
    long len = BIO_get_mem_data(pem, &data);

    if (len <= 0)
        return fault_internal(fault, "OpenSSL wrote an empty key");
    if (!write_new(private_file, data, (size_t)len, 0600, fault))
        return false;
    if (!write_new(jwks_file, jwks->data, jwks->len, 0644, fault)) {
        unlink(private_file); /* ours, and nobody can have used it */
        return false;
    }
    return sync_folder_of(private_file, fault) && sync_folder_of(jwks_file, fault);
}

bool token_key_generate(const char *private_file, const char *jwks_file, struct fault *fault)
{
    own(pkey_freep) EVP_PKEY *pkey = EVP_EC_gen("P-256");
    own(bio_freep) BIO *pem = BIO_new(BIO_s_secmem());
    own(text_done) struct text id = {0}, jwks = {0};

    if (!pkey || !pem || PEM_write_bio_PKCS8PrivateKey(pem, pkey, NULL, NULL, 0, NULL, NULL) != 1)
        return fault_internal(fault, "OpenSSL cannot make an EC key");
    return public_key_thumbprint(pkey, &id, fault) && public_key_jwks(pkey, ALG_ES256, id.data, &jwks, fault) &&
           write_pair(private_file, jwks_file, pem, &jwks, fault);
}
