// A self-signed certificate of a client named `certified`, valid from 2020 to 2120. Its key is public: it proves nothing, and exists because Node cannot
// make certificates.

export const clientCertificate = `-----BEGIN CERTIFICATE-----
MIIBWTCCAQCgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAljZXJ0aWZp
ZWQwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWNlcnRpZmllZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPXFQQKWnFx0GYyi
VrnYLi6ZqXOmtq0sZ6HmVIReY3PkWYQG6NmzE/Mv3pHLTW7u/An4iSv8LlAveTPG
RNhwmtWjQTA/MAkGA1UdEwQCMAAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0O
BBYEFGE77VeNK/o7mR2f2zJOKBvzQnXBMAoGCCqGSM49BAMCA0cAMEQCICRZR7lN
+Fy/yjbJJaqiuDTu9ARnXdrt5e02QYBaehA6AiAordCn2ekz4SVy6b43IpBBHUVZ
0xIzxM9nvlOxAI8y3w==
-----END CERTIFICATE-----
`

export const clientCertificateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgzY8UMD5aFt0+WjAb
SxL4hkEhQuHyGS+OaPACOBQLXLKhRANCAAT1xUEClpxcdBmMola52C4umalzprat
LGeh5lSEXmNz5FmEBujZsxPzL96Ry01u7vwJ+Ikr/C5QL3kzxkTYcJrV
-----END PRIVATE KEY-----
`
