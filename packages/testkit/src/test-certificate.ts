// A self-signed P-256 certificate for `localhost` and 127.0.0.1, valid from 2020 to 2120. Its private key is public:
// it proves nothing, and exists because Node cannot make certificates. Not marked as a CA, because stricter clients
// than Node refuse a CA as a server's own certificate.

export const testCertificate = `-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHwDoNFC5erH5zHW
BsZkup3yExeWy7S2Pa2NCWUVYVuaGI30rMxpI+RosaB1V9HzZRCa/xxh7y41Ugvo
xXWIoZKjYDBeMAwGA1UdEwEB/wQCMAAwGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/
AAABMBMGA1UdJQQMMAoGCCsGAQUFBwMBMB0GA1UdDgQWBBRenCYUnkHOTGDJ0ha+
5qhtd4G2+zAKBggqhkjOPQQDAgNIADBFAiBCU6DyuLS+ga7d7JGDYqo9jWzYOjs/
I2HMgII3srfPwgIhAPOI+V1crXIEk6CU2TJ4d29fBY5PxkdLeSvS/foxzS+m
-----END CERTIFICATE-----
`

export const testCertificateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdUBhKbJCl9omKXwV
2XltWEWNfvY3+eGpUbDcfJ5+EdqhRANCAAR8A6DRQuXqx+cx1gbGZLqd8hMXlsu0
tj2tjQllFWFbmhiN9KzMaSPkaLGgdVfR82UQmv8cYe8uNVIL6MV1iKGS
-----END PRIVATE KEY-----
`
