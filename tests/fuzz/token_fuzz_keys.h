/* The public keys, and secrets made for this only, of the tokens in corpus/token. */
#ifndef TOKEN_FUZZ_KEYS_H
#define TOKEN_FUZZ_KEYS_H

#define TOKEN_FUZZ_KEYS                                                                                              \
    "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"z3MqE7SB1EKM9MOFcaHuMeY1BXBff3zvu8BfUomOWfQPD9rPXsoSAFmsLojUgCmF4T2h1aex6m" \
    "7bb0hzPWhgN1KHCqMRRKTHDuu_QLcCbgSqHsIRJYoweiCtYvksdP2W6FcW9iDSZrQDzVk4QQHuQAEqOGRfEGU4lED55lrv9QjXihZiSu50S3qP" \
    "kFUEc3gsBXctIN8kLDHZY09lSJifqBdCaYBhs4o6LMBFzr6zfv4aU-DTyqp5bRhChu4Cz6YwYGFinHIOy_gA-RBe6HgeunbdeXpW0_pnwZpgDU" \
    "9PEkDTOy5d-Wbf4qxdrO_Og9xCMX8xYHGuj4_MOyuVE6xoKQ\",\"e\":\"AQAB\",\"kid\":\"rs256\",\"alg\":\"RS256\",\"use\":" \
    "\"sig\"},{\"kty\":\"RSA\",\"n\":\"v8P0dUnVBbrcQLVFQ76dCpPSDGihK1xGYrKorIdwHjG7iOYYCRnQedRjhH-PA9CC4qertbgXv8_G" \
    "0TI67X9L-kNHIIguMb1MQ3QnqMeDBbVcXzKC04nL6_SJp4KNLs9RhVk-t7QylZ5IbJeSfTCLUtNHvb902OjEmEoSQyhMDj5CVviJffIS0yq1LN" \
    "JP7uM7_LE8XWSTgs2HNmLm3OwYJknWHti-MF3i3gRKS_2otsrRd_cV7PaUsKBn1LVE8HYFpkBVx2_ADXnElsBnOxUk55ky8CV0nd_aIobppabN" \
    "DUrrUFxBfSttzs_SVbbxpw1coXqRpX_vYYOdKgib8W7f5Q\",\"e\":\"AQAB\",\"kid\":\"rs384\",\"alg\":\"RS384\",\"use\":\"" \
    "sig\"},{\"kty\":\"RSA\",\"n\":\"u6zs5gXoC5Mp0gYBJZ54LSWRohESR70Wp_vQLl67XlD_0Vk5vDEqG2MquSkIu2lpAP9Z_xpJkpkKjP" \
    "gMKikfo3MyZ2cc-dHjg6rpCJcAgAiH8yLOSOKE1iOodAimpPc1erfX2a9FotoivqBPNTZhp44hZ8dnxl_DCFwwvijrTPDRSlKHX8FcGM-wMJ-Q" \
    "8nrcInYWP4Vg-X3DVUGE1MHSG-clvhenjzLabJ6lLG81ryU6SeKnBFBwwASSjV5VahEBeXxqaSWB94R1ofl4LL0FAW36rv71WxqUCRZrIjsDAZ" \
    "PYPd4ElOLvA8np2NRDjesCkds4_SCij6PmUfiPjAvYAQ\",\"e\":\"AQAB\",\"kid\":\"rs512\",\"alg\":\"RS512\",\"use\":\"si" \
    "g\"},{\"kty\":\"RSA\",\"n\":\"xoGmyArpObLuzhLYYybTl6slJdVONT3mx0J8LIp22EiSBebOAzctVrS1GPsNA6X45XA96W5OGizol7r_" \
    "BxCQVz0RiIR3g-B_5reYTY_jnYxBsIW-PrxCtl6RsUMYAOrzdmrgyEQhCeO_YA8y0z3yvLR2iFHS_3ZxOSGYpVsx-4rE5RTQ2pxi5sisWH-MQ-" \
    "88AQ8mrp87TGTxDHk6KkjJgvYqM1pL4K-5W2VA5GkCOCysYXMlj7V55iheqd2375A4iki8yGV_WL9iqZWvsjuNpubfj-mB-zhRYHY8CTnL0NIh" \
    "_3vPUIHKBpxTITovXJlPOxmNpR65Ng4FCLHAjIf6bw\",\"e\":\"AQAB\",\"kid\":\"ps256\",\"alg\":\"PS256\",\"use\":\"sig"  \
    "\"},{\"kty\":\"RSA\",\"n\":\"ijJPscEQMPX43EswyeT_UWgOhKEpl5nLgbQfEEw3BWhiy3cR3RkFMgaylSlb4ZOTQ9dEV8t1eEl2sqe_G" \
    "r_nqisKoZr4VaPy9DuME1ym-8UyWZr4LBfiVEt8-oOMUPCIxcM1uxCW1PQbFEkE7qiB66t3LD_mxhyvRYqLVSzxlAyqOnDWbR4h4bIS78t6oEd" \
    "lLNBK6EMzaDoq-O3YGysAJKn7zVhwfIh27R8Mt_2NKrTIt1C7gq3xGtEk2j6gZ9kA7NlQXwLG1F0sQHeZCvnsZtNTX0GQOB8j3NrQeJEjmajGc" \
    "CEjw1zMKOMAJS5LF_6nkk_jwT9uUbf4c-zPITxoRQ\",\"e\":\"AQAB\",\"kid\":\"ps384\",\"alg\":\"PS384\",\"use\":\"sig\"" \
    "},{\"kty\":\"RSA\",\"n\":\"m3TxLqoVykcW3ZjUObF2XM5mnNSFmqtb8pjgYOxiqGV0IkxCo8KFHHLDhQ8TsQmrbkrcC9u8r1836uPKTAl" \
    "J_OK0I8CyWyXbNOAmghuOTzytUDSdmrMt_NE-xkeaAwiGcsgFQljCeiHD8B9lgrrvnIrvvMFUhXUCNxhVG2Lga3-8cW9uTb6DJxa_404g89Oyr" \
    "DPN9thhdYYnuIb9j_7UGvHAWuy5clM7Gcqq_T1pusZ6pzAeXxvY0dkGMyCBYF_N0oH_oFOrF80QhHceLw3nOk0hnZhnMyALzS4Upf3jrm-Bc-l" \
    "zn2ALw4F3LtViTP7_LBvuyewfUYnB6GIesXiqBw\",\"e\":\"AQAB\",\"kid\":\"ps512\",\"alg\":\"PS512\",\"use\":\"sig\"}," \
    "{\"kty\":\"EC\",\"x\":\"CI0vIDwsVv8pJ_ePL8NFcvcneqsrfQnItuWdTWpdzwc\",\"y\":\"22umSM-ub182qAI8DEzswBpZqm_UMfT3" \
    "lYfzBURqVwc\",\"crv\":\"P-256\",\"kid\":\"es256\",\"alg\":\"ES256\",\"use\":\"sig\"},{\"kty\":\"EC\",\"x\":\"F" \
    "tWusheiPkT3Lx0prVz1WPT85SgRK3jzWJtPdd9nMS8vesCioeHki97pFN6g11ub\",\"y\":\"aEJAqjLYZw8X4-cnCeelvYnh0yHIMXLgHZxF" \
    "EgeJ1mFBDbYEUbMYP8GhvO7jI5Zc\",\"crv\":\"P-384\",\"kid\":\"es384\",\"alg\":\"ES384\",\"use\":\"sig\"},{\"kty\"" \
    ":\"EC\",\"x\":\"AVM53JyRHI7FAtLccj-pQ8V-DoBt1JnCP_9WaErY8xLkWpS7avsh_bcnYTLPHkloSjEjM7tuKVr3YzEutnYhYI5y\",\"y" \
    "\":\"AW3wSrlkcEgDWRU-_Xb_DfXoXMfqmtqfA0G8vP-TULEsri9D9BdxZq6WzlemvFZOy9oDdb90svXU6dxrjAs7wbr1\",\"crv\":\"P-52" \
    "1\",\"kid\":\"es512\",\"alg\":\"ES512\",\"use\":\"sig\"},{\"crv\":\"Ed25519\",\"x\":\"KiycA5HVstStZBZto7NRDh4j" \
    "uM9YMTKGxQwu6Le3GCQ\",\"kty\":\"OKP\",\"kid\":\"eddsa\",\"alg\":\"EdDSA\",\"use\":\"sig\"},{\"crv\":\"Ed448\"," \
    "\"x\":\"N_9HU0zo2y-sfZ4fWN72hD_Ii6GbnNHTbzrGRyPLclXOSjllisKI7hO5VneBno5dcS2ezNYruCsA\",\"kty\":\"OKP\",\"kid\"" \
    ":\"ed448\",\"alg\":\"EdDSA\",\"use\":\"sig\"},{\"kty\":\"oct\",\"kid\":\"hs256\",\"alg\":\"HS256\",\"use\":\"s" \
    "ig\",\"k\":\"5jXc8EoTaBifPf7ZmD9Oio4J6kB4-ea8UM47LQ-zr6k\"},{\"kty\":\"oct\",\"kid\":\"hs384\",\"alg\":\"HS384" \
    "\",\"use\":\"sig\",\"k\":\"XQhh2TrG6y5YzSDeT1WWC4APXmaIscvaxxKbeH6aXN3hE4M2XwBZIob6n-TyV7Ul\"},{\"kty\":\"oct"  \
    "\",\"kid\":\"hs512\",\"alg\":\"HS512\",\"use\":\"sig\",\"k\":\"u-XEXom-24RMk_mEQ2dha4VstZMJvrvm9oUCWnIsEI_0hjm" \
    "vRBR1nfRUrMavDippd5lo5Waeil88oBTAGUN15g\"}]}"

#endif
